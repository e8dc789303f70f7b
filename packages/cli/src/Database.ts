/**
 * Finds the database: `--db`, else `FANOUT_DB`, else where XDG keeps what programs remember.
 */

/** What the place of the database depends on. */
export interface Place {
  readonly flag: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
}

/** Path of the database. A variable that is empty, or for XDG not absolute, counts as not set. */
export const path = ({ env, flag, home }: Place): string => {
  if (flag !== undefined) return flag
  if (isSet(env["FANOUT_DB"])) return env["FANOUT_DB"]
  const state = env["XDG_STATE_HOME"]
  const folder = isSet(state) && state.startsWith("/") ? state : `${home}/.local/state`
  return `${folder.replace(/\/+$/, "")}/fanout/jobs.db`
}

const isSet = (value: string | undefined): value is string => value !== undefined && value !== ""
