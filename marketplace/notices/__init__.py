"""What people are told of: a projection of the trail into inboxes and e-mail. Nothing below knows it."""
