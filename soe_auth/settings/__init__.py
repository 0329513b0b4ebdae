"""Every setting: its definition, its sources, the files that hold it."""

VARIABLE_PREFIX = "SOE_AUTH_"  # of all our environment variables; `spec` makes those of settings
# Other variables: a token, the profile to use, and the directory of config.toml.
TOKEN_VARIABLE = f"{VARIABLE_PREFIX}TOKEN"
PROFILE_VARIABLE = f"{VARIABLE_PREFIX}PROFILE"
CONFIG_DIR_VARIABLE = f"{VARIABLE_PREFIX}CONFIG_DIR"
# For the command of `soe-auth run`, which finds token and site there: `spec.SITE.variable`.
SITE_VARIABLE = f"{VARIABLE_PREFIX}SITE"

TOKENS, LOCKS = "tokens", "locks"  # directories in the user's config directory
