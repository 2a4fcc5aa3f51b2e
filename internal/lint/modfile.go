package lint

import "strings"

// parseModule reads what the rules need from a go.mod.
func parseModule(dir, data string) *Module {
	m := &Module{Dir: dir, Replaces: map[string]string{}, Verbs: parseVerbs(data)}
	for _, v := range m.Verbs {
		switch {
		case v.Name == "module" && len(v.Args) == 1:
			m.Path = v.Args[0]
		case v.Name == "require" && len(v.Args) == 2:
			m.Requires = append(m.Requires, Require{
				Path: v.Args[0], Version: v.Args[1], Indirect: v.Note == "indirect", Line: v.Line,
			})
		case v.Name == "replace":
			if before, after, ok := strings.Cut(strings.Join(v.Args, " "), " => "); ok {
				m.Replaces[strings.Fields(before)[0]] = after
			}
		}
	}
	return m
}

// parseVerbs reads the directives of a go.mod or go.work: one a line, or
// several in a block of parentheses.
func parseVerbs(data string) []Verb {
	var out []Verb
	block := ""
	line := 0
	for text := range strings.Lines(data) {
		line++
		code, note, _ := strings.Cut(text, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
			continue
		case block != "" && words[0] == ")":
			block = ""
			continue
		case block == "" && len(words) == 2 && words[1] == "(":
			block = words[0]
			continue
		case block != "":
			words = append([]string{block}, words...)
		}
		for i := range words {
			words[i] = strings.Trim(words[i], "\"`")
		}
		out = append(out, Verb{Name: words[0], Args: words[1:], Note: strings.TrimSpace(note), Line: line})
	}
	return out
}
