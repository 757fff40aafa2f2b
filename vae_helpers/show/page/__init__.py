"""The explorer as one self-contained HTML page with the decoder inside."""
