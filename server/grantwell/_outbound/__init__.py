"""The only door through which the server fetches anything: public hosts, https, small answers, a few seconds."""
