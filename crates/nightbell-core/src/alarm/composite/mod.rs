/*!
Composite alarms: rules over the states of other alarms.
*/
