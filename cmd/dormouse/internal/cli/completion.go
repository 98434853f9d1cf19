package cli

// BashCompletion and ZshCompletion are the scripts for the shells. Kingpin's own
// complete no value after --flag=, which is how our documents write flags.
const BashCompletion = `
_{{.App.Name}}_bash_autocomplete() {
    # --flag=value comes as three words, and is completed as --flag value.
    local word words=() cur="${COMP_WORDS[COMP_CWORD]}"
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        [ "$word" = "=" ] || words+=("$word")
    done
    if [ "$cur" = "=" ]; then
        cur=""
        words+=("")
    fi
    COMPREPLY=( $(compgen -W "$("${COMP_WORDS[0]}" --completion-bash "${words[@]}")" -- "$cur") )
}
complete -F _{{.App.Name}}_bash_autocomplete -o default {{.App.Name}}
`

const ZshCompletion = `#compdef {{.App.Name}}

_{{.App.Name}}() {
    # --flag=value is completed as --flag value.
    local given=("${(@)words[2,$CURRENT]}")
    if [[ $words[$CURRENT] == --*=* ]]; then
        given=("${(@)words[2,$CURRENT-1]}" "${words[$CURRENT]%%=*}" "${words[$CURRENT]#*=}")
        compset -P '*='
    fi
    local matches=($("${words[1]}" --completion-bash "${(@)given}"))
    compadd -a matches

    if [[ $compstate[nmatches] -eq 0 && $PREFIX != -* ]]; then
        _files
    fi
}

if [[ "$(basename -- ${(%):-%x})" != "_{{.App.Name}}" ]]; then
    compdef _{{.App.Name}} {{.App.Name}}
fi
`
