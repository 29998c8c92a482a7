// Command hclcheck compares the Terraform module in deploy/lambda/terraform with the CloudFormation template that it deploys, without
// Terraform, its provider or AWS: does it parse, has each resource only arguments that the provider knows, does it hand over each
// parameter of the template and no other, are defaults the same, is every variable there and used, does the template have the outputs.
//
//	hclcheck [-self-test] FOLDER TEMPLATE
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	args := os.Args[1:]
	selfTest := len(args) > 0 && args[0] == "-self-test"
	if selfTest {
		args = args[1:]
	}
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: hclcheck [-self-test] FOLDER TEMPLATE")
		os.Exit(2)
	}
	if err := run(args[0], args[1], selfTest); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder, templateFile string, selfTest bool) error {
	files := map[string]string{}
	names, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files[filepath.Base(name)] = string(text)
	}
	t, err := readTemplate(templateFile)
	if err != nil {
		return err
	}
	if problems := check(files, t); len(problems) > 0 {
		return fmt.Errorf("%s: %s", folder, strings.Join(problems, "\n"))
	}
	fmt.Printf("✓ %s: %d parameters and %d outputs of the template\n", folder, len(t.Parameters), len(t.Outputs))
	if !selfTest {
		return nil
	}
	for _, m := range planted {
		text, ok := files[m.file]
		if !ok || !strings.Contains(text, m.before) {
			return fmt.Errorf("planting %q: %s has no %q", m.name, m.file, m.before)
		}
		changed := map[string]string{}
		for name, text := range files {
			changed[name] = text
		}
		changed[m.file] = strings.Replace(text, m.before, m.after, 1)
		problems := strings.Join(check(changed, t), "\n")
		if !strings.Contains(problems, m.found) {
			return fmt.Errorf("not found: %s. Found was: %q", m.name, problems)
		}
	}
	fmt.Printf("✓ %s: %d planted mistakes were found\n", folder, len(planted))
	return nil
}

// planted are mistakes that check must find.
var planted = []struct{ name, file, before, after, found string }{
	{"a brace too few", "main.tf", "lifecycle {", "lifecycle", "main.tf"},
	{"an argument that does not exist", "main.tf", "template_body", "template", "aws_cloudformation_stack has no argument template"},
	{"a required argument is missing", "main.tf", "  name          = var.name\n", "", "aws_cloudformation_stack needs name"},
	{"a resource of another type", "main.tf", `"aws_s3_object" "program"`, `"aws_s3_bucket_object" "program"`, "aws_s3_bucket_object is not known here"},
	{"a parameter that the template lacks", "main.tf", "    KeyArn ", "    KmsKeyArn ", "the template has no parameter KmsKeyArn"},
	{"a parameter that is not handed over", "main.tf", "    DataPrefix                 = var.data_prefix\n", "", "the parameter DataPrefix is not handed over"},
	{"a variable that is not there", "main.tf", "var.memory_size", "var.memory", "there is no variable memory"},
	{"a variable that nobody uses", "variables.tf", "variable \"tags\" {", "variable \"labels\" {\n  default = 1\n}\n\nvariable \"tags\" {", "nobody uses the variable labels"},
	{"another default", "variables.tf", `"martsync/state"`, `"martsync/State"`, "the default of state_prefix is martsync/State"},
	{"a default for what the template demands", "variables.tf", "  description = \"The name of the sync in the configuration.\"\n", "  description = \"x\"\n  default = \"a\"\n", "the default of sync is a"},
	{"an output that the template lacks", "outputs.tf", `outputs["Topic"]`, `outputs["AlarmTopic"]`, "the template has no output AlarmTopic"},
	{"a resource that is not there", "outputs.tf", "aws_cloudformation_stack.martsync.outputs[\"Logs\"]", "aws_cloudformation_stack.stack.outputs[\"Logs\"]", "there is no resource aws_cloudformation_stack.stack"},
	{"rights that are not granted", "main.tf", `["CAPABILITY_IAM"]`, `[]`, "CAPABILITY_IAM"},
}
