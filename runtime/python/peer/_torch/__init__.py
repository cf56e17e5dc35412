"""What of the package needs torch."""
