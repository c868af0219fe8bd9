"""Values that a shell, a template, a printf or a Dockerfile would change on the way."""

HOSTILE = (
    "$(id -u)",
    "`id -u`",
    'double " quote',
    "single ' quote",
    "two\nlines\n",
    "back\\slash \\n \\",
    "ship 🚢 größe",
    "%s %d %%",
    "-n leading dash",
    "{{ env.HOME }} {% raw %}",
    "  blanks  ",
    "a;b|c&d>e<f*?[x]~!#",
    "tab\tand\r carriage return",
)
# Literal everywhere but in a feature's containerEnv, where the spec expands variables.
WITH_VARIABLES = (*HOSTILE, "$HOME ${UNKNOWN} $$")
