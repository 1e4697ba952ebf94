/*!
Mute rules: times in which alarms change their states without running actions.
*/
