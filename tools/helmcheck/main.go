// Command helmcheck checks the Helm chart of deploy/k8s without a cluster.
//
// It renders the chart with each of the values files beside it, compares with the renderings that are committed, decodes
// every object strictly into the types of Kubernetes' own API, and looks for mistakes that types do not show: a
// selector that selects nothing, a volume that is not there. Values that must be refused are tried too. -update writes
// the renderings anew.
//
// What only an API server knows (admission, quotas, the names of storage classes) is left to it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", filepath.FromSlash("../../deploy/k8s"), "`folder` with the chart and testdata")
	update := flag.Bool("update", false, "write the renderings anew")
	flag.Parse()
	problems, err := check(*dir, effort{update: *update, lint: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}
