# martsync in Lambda by Terraform. It hands template.yaml to CloudFormation as it is, rather than saying the same again in other
# words: there is one description of the stack, and that one is checked. What is Terraform's own is what a template cannot do, which is
# to put the program and the configuration into the bucket.
#
#   module "martsync" {
#     source        = "github.com/martsync/martsync//deploy/lambda/terraform"
#     bucket        = "my-bucket"
#     sync          = "marketing"
#     configuration = "${path.root}/martsync.yaml"
#     program       = "${path.root}/martsync-lambda-arm64.zip"
#     alarm_email   = "mart@example.com"
#   }

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

# Its name changes with its content: CloudFormation looks at the name alone.
resource "aws_s3_object" "program" {
  bucket = var.bucket
  key    = "martsync/code/${filesha256(var.program)}.zip"
  source = var.program

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_s3_object" "configuration" {
  bucket      = var.bucket
  key         = "martsync/${var.name}.yaml"
  source      = var.configuration
  source_hash = filemd5(var.configuration)
}

resource "aws_cloudformation_stack" "martsync" {
  name          = var.name
  template_body = file("${path.module}/../template.yaml")
  capabilities  = ["CAPABILITY_IAM"]
  tags          = var.tags

  parameters = {
    Sync                       = var.sync
    Bucket                     = var.bucket
    CodeKey                    = aws_s3_object.program.key
    ConfigKey                  = aws_s3_object.configuration.key
    StatePrefix                = var.state_prefix
    DataPrefix                 = var.data_prefix
    RawPrefix                  = var.raw_prefix
    SecretPrefix               = var.secret_prefix
    KeyArn                     = var.key_arn
    ScheduleExpression         = var.schedule_expression
    ScheduleExpressionTimezone = var.schedule_expression_timezone
    ScheduleState              = var.schedule_state
    AlarmEmail                 = var.alarm_email
    LogRetentionInDays         = var.log_retention_in_days
    MemorySize                 = var.memory_size
  }
}
