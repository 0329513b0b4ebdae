# fish loads this when it is first needed.
soe-auth completion fish | source
