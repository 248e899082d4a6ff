//go:build tools

// Package tools keeps the command that set-up builds in this module's go.mod and go.sum.
package tools

import _ "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs"
