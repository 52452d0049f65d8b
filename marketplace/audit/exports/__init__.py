"""What auditors take away: every credit and its changes, every settled line, of their jurisdiction, as text."""
