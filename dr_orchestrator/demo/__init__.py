"""A made-up practice that is protected, proven, and then damaged in ways that exit codes call fine.

It uses the product exactly as a person would (the real plan, repository, sandbox and report); what
it needs of other use cases is handed in by `app.py`.
"""
