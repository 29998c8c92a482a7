// Command snowgrammar checks statements with a grammar of Snowflake's SQL that others made: the one of
// the ANTLR project (antlr/grammars-v4), as Bytebase keeps it in Go.
//
// It reads a JSON array of statements from standard input and writes an array of the same length: for each what is
// wrong with it, or "". Where the grammar lags behind Snowflake's documentation, gaps.go says so with the
// page, and turns that one construct into one that the grammar knows.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/antlr4-go/antlr/v4"
	"github.com/bytebase/parser/snowflake"
)

func main() {
	// it runs for seconds, and half of them would go into collecting
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(2 << 30)
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "snowgrammar:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var statements []string
	if err := json.NewDecoder(in).Decode(&statements); err != nil {
		return fmt.Errorf("read statements: %w", err)
	}
	verdicts := make([]string, len(statements))
	for i, s := range statements {
		verdicts[i] = check(s)
	}
	return json.NewEncoder(out).Encode(verdicts)
}

// check returns what is wrong with a statement, or "".
func check(statement string) string {
	text, err := bridge(statement)
	if err != nil {
		return err.Error()
	}
	// The short way of predicting is right wherever it finds no error, and much faster.
	if parse(text, antlr.PredictionModeSLL) == "" {
		return ""
	}
	return parse(text, antlr.PredictionModeLL)
}

func parse(text string, mode int) string {
	var first firstError
	lexer := snowflake.NewSnowflakeLexer(antlr.NewInputStream(text + ";"))
	lexer.RemoveErrorListeners()
	lexer.AddErrorListener(&first)
	parser := snowflake.NewSnowflakeParser(antlr.NewCommonTokenStream(lexer, antlr.TokenDefaultChannel))
	parser.RemoveErrorListeners()
	parser.AddErrorListener(&first)
	parser.GetInterpreter().SetPredictionMode(mode)
	parser.BuildParseTrees = false
	parser.Snowflake_file()
	return first.text
}

// firstError keeps the first error; those after it are mostly its consequences.
type firstError struct {
	antlr.DefaultErrorListener
	text string
}

func (e *firstError) SyntaxError(_ antlr.Recognizer, _ any, line, column int, message string, _ antlr.RecognitionException) {
	if e.text == "" {
		e.text = fmt.Sprintf("%d:%d %.300s", line, column, message)
	}
}
