import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"

/** Rows of a database that another process may have open, or has not made yet. */
export const rows = (file: string, sql: string): ReadonlyArray<Record<string, unknown>> => {
  if (!fs.existsSync(file)) return []
  const database = new DatabaseSync(file, { timeout: 1000 })
  try {
    return database.prepare(sql).all()
  } catch (error) {
    if (/no such table/.test(String(error))) return []
    throw error
  } finally {
    database.close()
  }
}

/** What a trigger does that holds back whoever has it run, until that is killed. */
export const endless =
  "SELECT (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n);"
