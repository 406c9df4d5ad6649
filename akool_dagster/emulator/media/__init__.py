"""Makes what the emulated AKOOL delivers: speech, portraits and videos."""
