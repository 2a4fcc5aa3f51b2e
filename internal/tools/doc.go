// Package tools pins the programs that check sherd: staticcheck, govulncheck
// and benchstat. It holds no code. Their versions stand in this module's go.mod
// as tool directives, so that they are the same for everybody and reach nobody
// who embeds sherd; run one from the root of the repository with
//
//	go -C internal/tools tool -n staticcheck   # prints the path of the built program
//	go tool staticcheck ./...                  # the workspace knows the tool
package tools
