package main

import (
	"context"
	"sync"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/awssecret"
)

// secretStores are the stores that references to secrets may name. None is made before a reference is followed, and
// all connectors of the process share them.
func (a *app) secretStores() map[string]config.SecretStore {
	if a.secrets == nil {
		a.secrets = sync.OnceValue(func() *awssecret.Stores {
			return awssecret.New(martsync.Env{Log: a.log(), HTTP: a.httpClient(), Clock: a.clock})
		})
	}
	stores := a.secrets
	return map[string]config.SecretStore{
		"aws-ssm": func(ctx context.Context, name string) (martsync.Secret, error) { return stores().SSM(ctx, name) },
		"aws-secretsmanager": func(ctx context.Context, name string) (martsync.Secret, error) {
			return stores().SecretsManager(ctx, name)
		},
	}
}
