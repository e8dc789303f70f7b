/**
 * Shows how much of a job is done, as a thin bar. Where that is not known, the bar has no end.
 */
import type { Row } from "./client.ts"
import { percent } from "./shown.ts"

export const ShareBar = ({ job }: { readonly job: Pick<Row, "state" | "isOwnerDead" | "progress"> }) => {
  const { share } = job.progress
  const kind = job.isOwnerDead ? "failed" : job.state.toLowerCase()
  return share === null
    ? <progress class={`share unknown ${kind}`} max={1} value={0} aria-label="Share that is done, unknown" />
    : <progress class={`share ${kind}`} max={1} value={share} aria-label={`${percent(share)} is done`} />
}
