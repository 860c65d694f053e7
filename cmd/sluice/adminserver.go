package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// defaultAdmin is where a proxy's admin server listens if nothing else is said.
const defaultAdmin = "127.0.0.1:15000"

// addAdminFlag gives a verb the address of the proxy that it asks.
func addAdminFlag(cmd *cobra.Command) *string {
	address := cmd.Flags().String("admin", defaultAdmin, "ask the proxy with this admin `ADDRESS`")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("admin", cobra.FixedCompletions([]string{defaultAdmin, "127.0.0.1:15005"}, cobra.ShellCompDirectiveNoFileComp)))
	return address
}

// adminPatience bounds how long an admin server may take to answer.
const adminPatience = 30 * time.Second

// adminClient goes straight to the proxy, whatever HTTP_PROXY says.
var adminClient = &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: adminPatience}}

// nobodyError: at this address there is no admin server.
type nobodyError string

func (e nobodyError) Error() string {
	return fmt.Sprintf("no admin server answers at %s: start a proxy, or name its --admin address", string(e))
}

// adminError is a problem that an admin server answers.
type adminError struct {
	status int
	detail string
}

func (e *adminError) Error() string { return e.detail }

// askAdmin asks an admin server for a page. Whoever gets the response closes its body.
func askAdmin(ctx context.Context, address, path string) (*http.Response, error) {
	address = strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")
	if address == "" {
		address = defaultAdmin
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, misusef("--admin %q: write it as host:port", address)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return nil, misusef("--admin %q: %v", address, err)
	}
	resp, err := adminClient.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, nobodyError(address)
		}
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, problemOf(resp, address, path)
	}
	return resp, nil
}

// problemOf is why an admin server does not answer as asked.
func problemOf(resp *http.Response, address, path string) error {
	var problem struct {
		Detail string `json:"detail"`
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("the admin server at %s answers %s to %s", address, resp.Status, path)
	}
	return &adminError{resp.StatusCode, problem.Detail}
}

// getAdmin reads one page of an admin server as JSON.
func getAdmin(ctx context.Context, address, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	resp, err := askAdmin(ctx, address, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s%s is not what a Sluice admin server answers: %w", address, path, err)
	}
	return nil
}
