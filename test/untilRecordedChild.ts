import { setTimeout as wait } from "node:timers/promises"
import { rows } from "./rows.ts"

// Ends when jobs in `club.db` have recorded more than at its start: work is under way then, on a busy machine, too.
const recorded = () =>
  rows("club.db", "SELECT total(value) AS total FROM fanout_jobs, json_tree(progress) WHERE key = 'done'")[0]?.["total"]

const before = recorded() ?? 0
while ((recorded() ?? 0) === before) await wait(20)
