"""The rooms that touch Portage; only plain frozen data leaves them."""
