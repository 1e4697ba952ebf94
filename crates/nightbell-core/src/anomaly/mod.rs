/*!
What is usual at this hour of this day of the week, and how far from it is strange.
*/
