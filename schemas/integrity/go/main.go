// Verifies a signed note by one key, with the package that Go's checksum database uses, and prints its text.
//
//	go run . NOTE VKEY
package main

import (
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	if len(os.Args) != 3 {
		fail(2, "usage: go run . NOTE VKEY")
	}
	signed, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(2, err)
	}
	verifier, err := note.NewVerifier(os.Args[2])
	if err != nil {
		fail(2, err)
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		fail(1, "refused: ", err)
	}
	fmt.Print(opened.Text)
}

func fail(code int, message ...any) {
	fmt.Fprintln(os.Stderr, message...)
	os.Exit(code)
}
