# What is built beside the program itself. Everything that must hold before a change lands is .ci/run.

LAMBDA_ARCH ?= arm64
LAMBDA_ZIP  ?= build/martsync-lambda-$(LAMBDA_ARCH).zip
# A configuration to put beside the program; without one it is named by MARTSYNC_CONFIG (docs/places/lambda.md).
CONFIG      ?=

.PHONY: help lambda-zip

help:
	@echo 'make lambda-zip   the zip for AWS Lambda (LAMBDA_ARCH=amd64, CONFIG=martsync.yaml): $(LAMBDA_ZIP)'

# The same sources make the same bytes: no times, no paths of this machine.
lambda-zip:
	mkdir -p build/lambda-$(LAMBDA_ARCH)
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build -trimpath -tags minicore_disabled -ldflags='-s -w -buildid=' -o build/lambda-$(LAMBDA_ARCH)/bootstrap ./cmd/martsync
	go -C tools run ./lambdazip -o $(abspath $(LAMBDA_ZIP)) $(abspath build/lambda-$(LAMBDA_ARCH)/bootstrap) $(if $(CONFIG),martsync.yaml=$(abspath $(CONFIG)))
