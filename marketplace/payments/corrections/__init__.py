"""Registry corrections: credits given to the wrong household, put right as one set that two people agree on."""
