package awscall

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/logging"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// HTTPClient sends requests to AWS as everything else of ours is sent, and trusts whom the SDK's own
// client trusts (AWS_CA_BUNDLE). Patience bounds the silence of a server unless env does. Redirects are errors:
// the signature holds for one host. The sources of credentials that loading has set up keep the SDK's client,
// whose timeouts are made for them.
func HTTPClient(env martsync.Env, sdk aws.HTTPClient, patience time.Duration) *http.Client {
	base := http.DefaultTransport
	if env.HTTP != nil {
		if env.HTTP.Transport != nil {
			base = env.HTTP.Transport
		}
		if env.HTTP.Timeout > 0 {
			patience = env.HTTP.Timeout
		}
	}
	if b, ok := sdk.(*awshttp.BuildableClient); ok {
		if trusted := b.GetTransport().TLSClientConfig; trusted != nil && trusted.RootCAs != nil {
			base = trusting(base, trusted.RootCAs)
		}
	}
	return &http.Client{
		Transport:     httpx.Impatient(base, patience),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// trusting returns a transport that takes servers that the authorities have certified. Of a
// transport that is not the standard one it can only return the transport itself.
func trusting(base http.RoundTripper, authorities *x509.CertPool) http.RoundTripper {
	t, ok := base.(*http.Transport)
	if !ok {
		return base
	}
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.RootCAs = authorities
	return t
}

// Log passes on what the SDK has to say. It is for people who look for a fault of the SDK's. Without a logger nobody
// hears it.
func Log(ctx context.Context, log *slog.Logger) logging.Logger { return sdkLog{ctx, log} }

type sdkLog struct {
	ctx context.Context //nolint:containedctx // the logger's interface has none
	log *slog.Logger
}

func (l sdkLog) Logf(c logging.Classification, format string, v ...any) {
	if l.log != nil {
		l.log.DebugContext(l.ctx, fmt.Sprintf(format, v...), "sdk", string(c))
	}
}
