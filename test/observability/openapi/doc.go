// Package openapi judges the admin server's description of itself: it is a valid OpenAPI
// document, and a live gateway's answers are what it says.
package openapi
