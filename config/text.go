package config

// LoadText checks the text of a configuration that is no file of this machine. Place says where it came from. There is
// no file .env beside it, and relative paths start at the working directory.
func LoadText(place string, text []byte, o Options) (*Config, error) {
	return parse(place, text, lookup{getenv: o.environment(), dir: ".", secrets: o.Secrets}, o)
}

// environment is Getenv, never nil.
func (o Options) environment() func(string) string {
	if o.Getenv == nil {
		return func(string) string { return "" }
	}
	return o.Getenv
}
