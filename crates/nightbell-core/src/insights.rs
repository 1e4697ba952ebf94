/*!
Metrics Insights queries: `SELECT SUM(Denied) FROM "files" WHERE … GROUP BY Folder`.
*/
