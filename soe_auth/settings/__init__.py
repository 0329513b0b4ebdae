"""Every setting: its definition, its sources, its files."""

VARIABLE_PREFIX = "SOE_AUTH_"  # of all environment variables; `spec` adds those of settings
# Other variables: a token, the profile to use, and the directory of config.toml.
TOKEN_VARIABLE = f"{VARIABLE_PREFIX}TOKEN"
PROFILE_VARIABLE = f"{VARIABLE_PREFIX}PROFILE"
CONFIG_DIR_VARIABLE = f"{VARIABLE_PREFIX}CONFIG_DIR"
# Set for the command of `soe-auth run`, and also read as a setting: `spec.SITE.variable`.
SITE_VARIABLE = f"{VARIABLE_PREFIX}SITE"

TOKENS, LOCKS = "tokens", "locks"  # directories in the user's config directory
