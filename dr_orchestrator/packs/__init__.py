"""What is known about an EMR, as data: checks, document paths, the newest row.

A pack is a YAML file, never code. The built-in ones lie here; an MSP's own lie beside the plan, in
`packs/NAME.yaml`. Nothing here asks a database or opens a file of a practice's: that is
`restore/pack_checks.py`.
"""
