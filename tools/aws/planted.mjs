// Mistakes that the checks must find: how to make each, and a part of what is said about it.
const lambda = 'lambda/template', ecs = 'ecs/template';
const p = (t, name) => t.Resources[name].Properties;
const statement = (t, role, sid) => p(t, role).Policies[0].PolicyDocument.Statement.find((s) => s.Sid === sid);
const states = (t) => p(t, 'SyncMachine').Definition.States;

export const planted = [
  { in: lambda, name: 'a property that does not exist', found: 'MartsyncLambdaFunction.Memory does not exist', plant: (t) => { p(t, 'MartsyncLambdaFunction').Memory = 256; } },
  { in: lambda, name: 'a property below another', found: 'Schedule.Target.RetryPolicy.Retries does not exist', plant: (t) => { p(t, 'Schedule').Target.RetryPolicy.Retries = 1; } },
  { in: lambda, name: 'a property in one branch of If', found: 'AlarmTopic.Name does not exist', plant: (t) => { p(t, 'AlarmTopic').Name = { 'Fn::If': ['HasKey', 'a', 'b'] }; } },
  { in: lambda, name: 'a required property is missing', found: 'Schedule.FlexibleTimeWindow is required', plant: (t) => { delete p(t, 'Schedule').FlexibleTimeWindow; } },
  { in: lambda, name: 'a text for a number', found: 'MartsyncLambdaFunction.Timeout is "fifteen minutes"', plant: (t) => { p(t, 'MartsyncLambdaFunction').Timeout = 'fifteen minutes'; } },
  { in: lambda, name: 'a text for a list', found: 'MartsyncLambdaFunction.Architectures is "arm64"', plant: (t) => { p(t, 'MartsyncLambdaFunction').Architectures = 'arm64'; } },
  { in: lambda, name: 'a type that does not exist', found: 'there is no type AWS::Events::Schedule', plant: (t) => { t.Resources.Schedule.Type = 'AWS::Events::Schedule'; } },
  { in: lambda, name: 'a reference to nothing', found: 'refers to Topic, which is not there', plant: (t) => { p(t, 'SyncFailed').AlarmActions = [{ Ref: 'Topic' }]; } },
  { in: lambda, name: 'a reference to nothing in Sub', found: 'refers to Buket, which is not there', plant: (t) => { t.Outputs.Logs.Value = { 'Fn::Sub': 's3://${Buket}' }; } },
  { in: lambda, name: 'an attribute that does not exist', found: 'has no attribute ARN', plant: (t) => { p(t, 'SyncMachine').RoleArn = { 'Fn::GetAtt': ['SyncMachineRole', 'ARN'] }; } },
  { in: lambda, name: 'a placeholder without Sub', found: 'has a placeholder and no Sub', plant: (t) => { p(t, 'AlarmTopic').TopicName = '${AWS::StackName}-alarms'; } },
  { in: lambda, name: 'a condition that is not there', found: 'names the condition HasMail', plant: (t) => { t.Resources.AlarmSubscription.Condition = 'HasMail'; } },
  { in: lambda, name: 'a parameter that nobody uses', found: 'nobody uses ScheduleExpressionTimezone', plant: (t) => { delete p(t, 'Schedule').ScheduleExpressionTimezone; } },
  { in: lambda, name: 'the whole bucket', found: 'in the whole bucket', plant: (t) => { statement(t, 'MartsyncRole', 'KeepStateAndData').Resource = { 'Fn::Sub': 'arn:${AWS::Partition}:s3:::${Bucket}/*' }; } },
  { in: lambda, name: 'all of a service', found: 'allows s3:*', plant: (t) => { statement(t, 'MartsyncRole', 'KeepStateAndData').Action = 's3:*'; } },
  { in: lambda, name: 'every resource', found: 'allows lambda:InvokeFunction on everything', plant: (t) => { statement(t, 'SyncMachineRole', 'CallTheFunction').Resource = '*'; } },
  { in: lambda, name: 'every secret', found: 'allows every secret', plant: (t) => { statement(t, 'MartsyncRole', 'ReadItsOwnSecrets').Resource = { 'Fn::Sub': 'arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/*' }; } },
  { in: lambda, name: 'a condition that hides what is missing', found: 'refuses to say that an object is not there', plant: (t) => { const s = statement(t, 'MartsyncRole', 'ListStateAndData'); s.Condition = { StringLike: s.Condition.StringLikeIfExists }; } },
  { in: lambda, name: 'a role for other accounts', found: 'ScheduleRole may be taken on behalf of another account', plant: (t) => { delete p(t, 'ScheduleRole').AssumeRolePolicyDocument.Statement[0].Condition; } },
  { in: lambda, name: 'a state that is not there', found: 'SyncMachine: ', plant: (t) => { states(t).Wait.Next = 'Advanced'; } },
  { in: lambda, name: 'a state that nothing leads to', found: 'SyncMachine: ', plant: (t) => { states(t).Lost = { Type: 'Succeed' }; } },
  { in: lambda, name: 'a field of another type of state', found: 'SyncMachine: ', plant: (t) => { states(t).Wait.Parameters = {}; } },
  { in: lambda, name: 'two ways of waiting', found: 'SyncMachine: ', plant: (t) => { states(t).Wait.Seconds = 1; } },
  { in: lambda, name: 'a path that is none', found: 'SyncMachine: ', plant: (t) => { states(t).Advance.ResultPath = 'answer'; } },
  { in: lambda, name: 'a substitution that is missing', found: 'nothing stands for ${FunctionArn}', plant: (t) => { delete p(t, 'SyncMachine').DefinitionSubstitutions.FunctionArn; } },
  { in: ecs, name: 'a property that does not exist', found: 'Task.ContainerDefinitions[0].StopTimout does not exist', plant: (t) => { const c = p(t, 'Task').ContainerDefinitions[0]; c.StopTimout = c.StopTimeout; delete c.StopTimeout; } },
  { in: ecs, name: 'a property in another spelling', found: 'Schedule.Target.EcsParameters.NetworkConfiguration.awsvpcConfiguration does not exist', plant: (t) => { const n = p(t, 'Schedule').Target.EcsParameters.NetworkConfiguration; n.awsvpcConfiguration = n.AwsvpcConfiguration; } },
  { in: ecs, name: 'a required property is missing', found: 'Task.ContainerDefinitions[0].Image is required', plant: (t) => { delete p(t, 'Task').ContainerDefinitions[0].Image; } },
  { in: ecs, name: 'a row that a mapping lacks', found: 'Of has no row prod', plant: (t) => { delete t.Mappings.Of.prod; } },
  { in: ecs, name: 'a column that a row lacks', found: 'not every row of Of has LogDays', plant: (t) => { delete t.Mappings.Of.dev.LogDays; } },
  { in: ecs, name: 'a default that is not allowed', found: 'the default of parameter ScheduleState is not allowed', plant: (t) => { t.Parameters.ScheduleState.Default = 'ON'; } },
  { in: ecs, name: 'a default that does not match', found: 'the default of parameter MaxTime does not match', plant: (t) => { t.Parameters.MaxTime.Default = 'a day'; } },
  { in: ecs, name: 'roles handed over to anybody', found: 'hands over roles to anybody', plant: (t) => { delete statement(t, 'ScheduleRole', 'HandOverItsRoles').Condition; } },
  { in: ecs, name: 'a policy of AWS', found: 'has policies that AWS changes', plant: (t) => { p(t, 'TaskRole').ManagedPolicyArns = ['arn:aws:iam::aws:policy/AmazonS3FullAccess']; } },
];
