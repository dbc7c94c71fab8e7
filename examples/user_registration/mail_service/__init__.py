"""Sends mails, and says when one has come back."""
