# bash-completion loads this when it is first needed.
eval "$(soe-auth completion bash)"
