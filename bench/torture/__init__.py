"""kill -9 in the midst of every stage: does the next run end as if nothing had happened?"""
