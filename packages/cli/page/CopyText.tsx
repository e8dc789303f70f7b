/**
 * Shows a command with a button that copies it.
 */
import { useState } from "preact/hooks"
import { printable } from "./shown.ts"

export const CopyText = ({ text }: { readonly text: string }) => {
  const [isCopied, setCopied] = useState(false)
  const copy = () =>
    navigator.clipboard.writeText(text).then(() => {
      setCopied(true)
      setTimeout(() => setCopied(false), 2000)
    }, () => {})
  return (
    <div class="command">
      <code>{printable(text)}</code>
      <button type="button" class="quiet" onClick={copy} aria-label={`Copy ${printable(text)}`}>
        {isCopied ? "Copied" : "Copy"}
      </button>
    </div>
  )
}
