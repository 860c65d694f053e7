package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
)

func newConvertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "convert PATH...",
		Short: "Say in Istio's API what Ingresses say",
		Long: `Print the Gateways, VirtualServices and DestinationRules that say what the Ingresses
say in files, in folders or from standard input (-), with their ingress-nginx annotations.
They are what a gateway makes of the Ingresses, under names of their own. Services among
the objects tell the numbers of ports that are named.

What is wrong, and what Istio's API cannot say, goes to standard error and stands as a
comment above the object that lacks it. It exits 0 if there are no errors, 1 if there are.`,
		Example: `  sluice convert ./ingresses > istio.yaml
  kubectl get ingresses,services -A -o yaml | sluice convert -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misusef("name a file, a folder, or - for standard input")
			}
			return nil
		},
	}
	out := formatYAML
	cmd.Flags().VarP(&out, "output", "o", "how to print: yaml, json")
	var classes []string
	cmd.Flags().StringSliceVar(&classes, "ingress-class", nil, "convert the Ingresses of this `CLASS` alone (repeatable)")
	var selector labels
	cmd.Flags().Var(&selector, "labels", "labels of the gateway, which the Gateways select (default istio=ingressgateway)")
	namespace := cmd.Flags().String("namespace", "istio-system", "the gateway's namespace, `NS`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if out == formatText {
			return misusef("--output text: must be yaml or json")
		}
		if selector == nil {
			selector = labels{"istio": "ingressgateway"}
		}
		src, err := readSource(args)
		if err != nil {
			return err
		}
		converted, conditions := ingress.Convert(src.objects, ingress.Options{Classes: classes}, istio.Options{Labels: selector, Namespace: *namespace})
		conditions = append(slices.Clone(src.conditions), conditions...)
		if err := writeConverted(cmd.OutOrStdout(), out, converted, conditions); err != nil {
			return err
		}
		failed := false
		for _, c := range conditions {
			cmd.PrintErrf("%s %s [%s]\n", c.Severity, visible(c.String()), c.Reason)
			failed = failed || c.Severity == config.Error
		}
		if len(converted) == 0 && !failed {
			cmd.PrintErrln("there are no Ingresses to convert")
		}
		if failed {
			return start.ErrReported
		}
		return nil
	}
	return cmd
}

// writeConverted prints objects, in YAML with what they lack above each.
func writeConverted(w io.Writer, out format, all []ingress.Converted, conditions []config.Condition) error {
	manifests := make([]json.RawMessage, len(all))
	for i, c := range all {
		text, err := manifestOf(c.Object)
		if err != nil {
			return err
		}
		manifests[i] = text
	}
	if out == formatJSON {
		return out.encode(w, map[string]any{"apiVersion": "v1", "kind": "List", "items": manifests})
	}
	said := map[config.Condition]bool{}
	var b bytes.Buffer
	for i, c := range all {
		if i > 0 {
			b.WriteString("---\n")
		}
		for _, from := range c.From {
			fmt.Fprintf(&b, "# from %s\n", from)
		}
		for _, condition := range conditions {
			if slices.Contains(c.From, condition.Object) && condition.Severity != config.Info && !said[condition] {
				said[condition] = true
				comment(&b, condition)
			}
		}
		text, err := yaml.JSONToYAML(manifests[i])
		if err != nil {
			return err
		}
		b.Write(text)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// comment writes a condition as a comment, without what would end it.
func comment(b *bytes.Buffer, c config.Condition) {
	text := c.Message
	if c.Field != "" {
		text = strings.TrimSuffix(strings.TrimPrefix(c.Field, "metadata.annotations["), "]") + ": " + text
	}
	fmt.Fprintf(b, "# %s: %s\n", c.Severity, strings.Join(strings.Fields(text), " "))
}

// manifestOf is an object as it is applied: without status, and what an API server fills in.
func manifestOf(object any) (json.RawMessage, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var fields struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name        string            `json:"name"`
			Namespace   string            `json:"namespace"`
			Annotations map[string]string `json:"annotations,omitempty"`
		} `json:"metadata"`
		Spec json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}
