import { createRoot } from "react-dom/client";
import { Account } from "./account.jsx";

createRoot(document.getElementById("root")).render(<Account />);
