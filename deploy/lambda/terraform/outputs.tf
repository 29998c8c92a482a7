output "run_now" {
  description = "The command that begins the sync now."
  value       = aws_cloudformation_stack.martsync.outputs["RunNow"]
}

output "logs" {
  description = "The command that follows the log."
  value       = aws_cloudformation_stack.martsync.outputs["Logs"]
}

output "state_machine" {
  description = "ARN of the machine that runs the sync."
  value       = aws_cloudformation_stack.martsync.outputs["StateMachine"]
}

output "function" {
  description = "Name of the function."
  value       = aws_cloudformation_stack.martsync.outputs["Function"]
}

output "topic" {
  description = "ARN of the topic where alarms go."
  value       = aws_cloudformation_stack.martsync.outputs["Topic"]
}
