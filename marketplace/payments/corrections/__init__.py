"""Registry corrections: credits given to the wrong household in good faith, put right as one set two people agree on."""
