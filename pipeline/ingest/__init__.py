"""From files to checked tables: items, users, interactions, split."""
