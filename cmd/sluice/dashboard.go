package main

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

func newDashboardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Open the live page of a proxy in a browser",
		Long: `Open the page that shows a proxy's traffic as it is: a graph of services, routes,
endpoints, certificates, what is wrong with the configuration, and recent failures.

Where no browser can be started, the address is printed instead.`,
		Example: `  sluice dashboard
  sluice dashboard --print --admin 127.0.0.1:15005`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	address := addAdminFlag(cmd)
	printOnly := cmd.Flags().Bool("print", false, "print the address, and start no browser")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		page, err := dashboardURL(cmd, *address)
		if err != nil {
			return err
		}
		if !*printOnly && openBrowser(page) == nil {
			cmd.PrintErrf("%s opens in a browser\n", page)
			return nil
		}
		fmt.Fprintln(cmd.OutOrStdout(), page)
		return nil
	}
	return cmd
}

// dashboardURL returns where the page is, once it answers.
func dashboardURL(cmd *cobra.Command, address string) (string, error) {
	resp, err := askAdmin(cmd.Context(), address, "/ui/")
	if err != nil {
		var refused *adminError
		if errors.As(err, &refused) && refused.status == http.StatusNotFound {
			return "", fmt.Errorf("the proxy at %s has no page", address)
		}
		return "", err
	}
	resp.Body.Close()
	return resp.Request.URL.String(), nil
}

// openBrowser starts the person's browser.
func openBrowser(page string) error {
	program := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if program == nil {
		program = []string{"xdg-open"}
	}
	if !strings.HasPrefix(page, "http://") {
		return errors.New("not a page")
	}
	return exec.Command(program[0], append(program[1:], page)...).Start()
}
