package router

import "github.com/tidewire/ws/router/schema"

// API describes what is registered, for package schema.
func (r *Router) API() *schema.API {
	api := &schema.API{Title: r.opts.Title, Version: r.opts.Version}
	for _, doc := range r.docs {
		api.Messages = append(api.Messages, doc())
	}
	return api
}

// Describe adds a message to the description: for packages like hub, whose
// messages have no route of their own.
func (r *Router) Describe(m schema.Message) {
	r.docs = append(r.docs, func() schema.Message { return m })
}

// AsyncAPI returns an AsyncAPI 3.0 document of what is registered, as JSON.
func (r *Router) AsyncAPI() ([]byte, error) { return r.API().AsyncAPI() }

// TypeScript returns a client for what is registered: one file without dependencies.
func (r *Router) TypeScript() ([]byte, error) { return r.API().TypeScript() }
