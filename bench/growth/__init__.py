"""What a larger catalogue costs: encoding, index, search, training memory."""
