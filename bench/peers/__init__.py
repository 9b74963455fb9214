"""Speed and quality beside what a user would pick instead."""
