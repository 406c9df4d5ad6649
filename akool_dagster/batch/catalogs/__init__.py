"""Which voices and avatars AKOOL has, as saved on our storage, and whether rows name real ones."""
