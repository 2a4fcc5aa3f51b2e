#!/usr/bin/env bash
# The checks of aws.sh with version 2 of the AWS command line.
exec bash "$(dirname "$0")/aws.sh" 2
